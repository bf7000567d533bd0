"""What is kept: the data folder and its key, the database, the ledger, the logs. Every call that writes blocks."""
