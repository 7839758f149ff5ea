"""``python -m proxy3d_ros`` is the command ``proxy3d``."""

from proxy3d_ros.cli import main

if __name__ == "__main__":
    main()
