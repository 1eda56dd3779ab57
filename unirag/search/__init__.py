"""Questions through: embed, search, decide whether anything answers, choose the evidence."""
