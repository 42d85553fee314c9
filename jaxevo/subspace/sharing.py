"""placeholder"""
def work_of(graph, masks, base):
    return None
