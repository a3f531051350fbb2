"""Playlists in the format of the Spotify Million Playlist Dataset."""
