"""Distances and bearings on a sphere, in NumPy."""

from __future__ import annotations

import numpy as np

EARTH_KM = 6371.0088
"""Mean radius of the Earth (source: Moritz, Geodetic Reference System 1980)."""


def haversine(lat: float, lon: float, lats: np.ndarray, lons: np.ndarray) -> np.ndarray:
    """Measure how far places are along the surface.

    Parameters
    ----------
    lat, lon : float
        From where, degrees.
    lats, lons : ndarray
        float64 (N,), degrees; longitudes may be of any turn.

    Returns
    -------
    ndarray
        float64 (N,), kilometres. A sphere is off by up to .6 % from the ellipsoid. Source: Sinnott, Virtues of the
        Haversine, Sky and Telescope 68, 1984.
    """
    p, q = np.radians(lat), np.radians(lats)
    half = np.sin((q - p) / 2) ** 2 + np.cos(p) * np.cos(q) * np.sin(np.radians(lons - lon) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0)))


def bearing(lat: float, lon: float, lats: np.ndarray, lons: np.ndarray) -> np.ndarray:
    """Give the direction in which the way to places begins, float64 (N,), degrees from north over east, 0 to 360."""
    p, q, turn = np.radians(lat), np.radians(lats), np.radians(lons - lon)
    east = np.sin(turn) * np.cos(q)
    north = np.cos(p) * np.sin(q) - np.sin(p) * np.cos(q) * np.cos(turn)
    return np.degrees(np.arctan2(east, north)) % 360


def unit_vectors(lats: np.ndarray, lons: np.ndarray) -> np.ndarray:
    """Give places as points on the unit sphere, float64 (N, 3), where neither poles nor the date line are special."""
    p, q = np.radians(lats), np.radians(lons)
    return np.stack([np.cos(p) * np.cos(q), np.cos(p) * np.sin(q), np.sin(p)], axis=1)
