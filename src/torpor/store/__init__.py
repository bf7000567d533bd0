"""What is kept: the data folder and its key, the database, the ledger, the logs. What touches the disk blocks."""
