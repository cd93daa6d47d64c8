@property
def vcount_trigger_status(self) -> bool:
    return get_bit(self.reg, 2)


await self._trigger_status_callback(task_id, "timeout")
widget = get("/api/v1/alerts?trigger_status=triggered_unread")
