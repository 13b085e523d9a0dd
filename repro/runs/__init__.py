"""From a config to a record: Lightning module, loaders, the run itself."""
