it('lists CI runs', async () => {
  await client.listRepositoryCiRuns('team', 'demo', 50, 'cursor');

  expect(fetchMock.mock.calls[0][0].toString()).toBe(
    'https://api.sourcecraft.tech/repos/team/demo/cicd/runs?page_size=50&page_token=cursor',
  );
});
