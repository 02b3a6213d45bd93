"""What placement saves between Regions, against peers, over an emulated wide-area network."""
