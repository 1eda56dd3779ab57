"""unirag inside other programs: LangChain and the Model Context Protocol."""
