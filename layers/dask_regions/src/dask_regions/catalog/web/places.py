"""Where AWS Regions are, for a map: the city that AWS names, not the data centres, whose places it keeps."""

from __future__ import annotations

__all__ = ["PLACES"]

#: Region to its name, longitude and latitude in degrees.
PLACES: dict[str, tuple[str, float, float]] = {
    "af-south-1": ("Cape Town", 18.4, -33.9),
    "ap-east-1": ("Hong Kong", 114.2, 22.3),
    "ap-east-2": ("Taipei", 121.5, 25.0),
    "ap-northeast-1": ("Tokyo", 139.7, 35.7),
    "ap-northeast-2": ("Seoul", 127.0, 37.6),
    "ap-northeast-3": ("Osaka", 135.5, 34.7),
    "ap-south-1": ("Mumbai", 72.9, 19.1),
    "ap-south-2": ("Hyderabad", 78.5, 17.4),
    "ap-southeast-1": ("Singapore", 103.8, 1.4),
    "ap-southeast-2": ("Sydney", 151.2, -33.9),
    "ap-southeast-3": ("Jakarta", 106.8, -6.2),
    "ap-southeast-4": ("Melbourne", 145.0, -37.8),
    "ap-southeast-5": ("Malaysia", 101.7, 3.1),
    "ap-southeast-6": ("New Zealand", 174.8, -36.8),
    "ap-southeast-7": ("Thailand", 100.5, 13.8),
    "ca-central-1": ("Montreal", -73.6, 45.5),
    "ca-west-1": ("Calgary", -114.1, 51.0),
    "cn-north-1": ("Beijing", 116.4, 39.9),
    "cn-northwest-1": ("Ningxia", 106.2, 38.5),
    "eu-central-1": ("Frankfurt", 8.7, 50.1),
    "eu-central-2": ("Zurich", 8.5, 47.4),
    "eu-north-1": ("Stockholm", 18.1, 59.3),
    "eu-south-1": ("Milan", 9.2, 45.5),
    "eu-south-2": ("Spain", -0.9, 41.6),
    "eu-west-1": ("Ireland", -6.3, 53.3),
    "eu-west-2": ("London", -0.1, 51.5),
    "eu-west-3": ("Paris", 2.4, 48.9),
    "il-central-1": ("Tel Aviv", 34.8, 32.1),
    "me-central-1": ("UAE", 54.4, 24.5),
    "me-south-1": ("Bahrain", 50.6, 26.1),
    "mx-central-1": ("Mexico", -100.4, 20.6),
    "sa-east-1": ("São Paulo", -46.6, -23.5),
    "us-east-1": ("N. Virginia", -77.5, 39.0),
    "us-east-2": ("Ohio", -83.0, 40.0),
    "us-gov-east-1": ("US-East", -83.0, 40.0),
    "us-gov-west-1": ("US-West", -119.6, 45.8),
    "us-west-1": ("N. California", -121.9, 37.4),
    "us-west-2": ("Oregon", -119.6, 45.8),
}
