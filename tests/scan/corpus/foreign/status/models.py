from django.db import models


class Alarm(models.Model):
    trigger_status = models.CharField(max_length=16)

    def is_on(self):
        return self.trigger_status == "on"
