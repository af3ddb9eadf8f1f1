"""Check-ups made from data for non-commercial use or research only; medloupe finds them by itself once installed."""
