"""The report: one HTML page on what of the paper is reproduced, written from records, tables and docs alone."""
