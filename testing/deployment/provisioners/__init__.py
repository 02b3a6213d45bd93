"""Resource types that ministack's CloudFormation lacks; each refuses what AWS refuses."""
