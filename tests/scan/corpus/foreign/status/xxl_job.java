info.setTriggerStatus(0);
if (trigger.getTriggerStatus() == TriggerStatus.ENABLED) {
    saveTriggers(trigger.triggerStatus);
}
