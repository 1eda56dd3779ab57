"""Which models a profile has, where they come from and how they are loaded."""
