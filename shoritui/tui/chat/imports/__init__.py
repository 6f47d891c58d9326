"""Taking files and folders of other programs in, and an import back."""
