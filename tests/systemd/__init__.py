"""The units under a real systemd: Debian 12, booted in a container, with the appliance laid out as on a device."""
