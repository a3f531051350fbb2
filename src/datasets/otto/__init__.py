"""OTTO: sessions of clicks, carts and orders."""
