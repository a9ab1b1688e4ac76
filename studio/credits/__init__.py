"""What things cost, and the account book. `pricing` is pure; `ledger` writes."""
