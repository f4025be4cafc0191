"""The page "Compare many": the distances among two to fifty pictures."""
