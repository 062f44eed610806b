"""The console: shows people who, through which agent, did what; speaks HTTP to the parties and imports none of them."""
