interface RunCiBodyReport {
  label: string;
}
export async function runCiBodyReports(reports: RunCiBodyReport[]) {
  return runWorkflow(reports);
}
