"""The networks of a system's Regions and what connects them: VPC peering, Transit Gateways, private DNS."""
