from unirag.cli import main

main()
