"""The workspace folder (`--home`): paths, lock and the SQLite files in it."""
