"""Search: embed a question, find hits, decide whether they answer it, choose the evidence."""
