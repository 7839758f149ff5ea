"""Questions about rooms whose truth is known. The geometry here is its own: it shares no code with the answerers."""
