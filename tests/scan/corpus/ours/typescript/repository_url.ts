export class Runs {
  constructor(private readonly repoUrl: string) {}

  list = () => fetch(`${this.repoUrl}/cicd/runs`);
}
