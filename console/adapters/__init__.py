"""The console's ways out: its sessions, the bridge it signs in at, the parties it asks."""
