class Engine {
    void runWorkflow(String key) { runtimeService.startProcessInstanceByKey(key); }
}
