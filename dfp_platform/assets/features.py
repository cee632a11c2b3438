assets: list = []
checks: list = []
