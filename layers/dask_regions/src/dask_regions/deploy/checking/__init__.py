"""What the templates and AWS would refuse, said before anything is deployed, each with its line and cure."""
