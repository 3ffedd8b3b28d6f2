"""The directory that Python is started on: `python -I <this directory>` runs the server."""

# Guarded because `multiprocessing` imports the main module again in its children.
if __name__ == "__main__":
    from beep_host import private_builtins

    private_builtins.install()
    from beep_host.server import main

    main()
