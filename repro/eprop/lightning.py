"""The library's callbacks for Lightning; the only module of it that imports Lightning."""
