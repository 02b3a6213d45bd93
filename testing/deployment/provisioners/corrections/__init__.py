"""What ministack answers otherwise than AWS, in services for which it has provisioners."""
