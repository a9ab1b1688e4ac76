"""The page: one file a tab for layout and wiring. It talks to the service alone."""
