"""What is kept on disk: one SQLite file, the pictures, the uploads. Knows no prices, and not how pictures are made."""
