router.get('/cicd/runs', list);
router.get('/api/:team/:app/cicd/runs', list);
app.use('/cicd/logs', logs);
