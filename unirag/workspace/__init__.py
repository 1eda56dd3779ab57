"""The workspace folder (`--home`): its paths, its lock and the SQLite files in it."""
