import Glibc

/// What the processes of a run used between its two ends.
struct UsageWindow {
    private let serverPID: Int?
    private let redisPID: Int?
    private let own = ProcessSample(pid: Int(getpid()))
    private let server: ProcessSample?
    private let redis: ProcessSample?

    /// Takes the first samples.
    init(serverPID: Int?, redisPID: Int?) {
        self.serverPID = serverPID
        self.redisPID = redisPID
        server = serverPID.flatMap { ProcessSample(pid: $0) }
        redis = redisPID.flatMap { ProcessSample(pid: $0) }
    }

    /// Takes the last samples and writes what lies between into the result, whose counts are there already.
    func close(into result: inout RunResult, decisionsPerRequest: Int) {
        let decisions = result.requests * decisionsPerRequest
        result.server = use(server, serverPID, result.requests, decisions)
        result.redis = use(redis, redisPID, result.requests, decisions)
        if let own, let now = ProcessSample(pid: Int(getpid())), result.durationUs > 0 {
            result.generatorCores = Double(now.cpuUs - own.cpuUs) / Double(result.durationUs)
        }
    }

    private func use(_ before: ProcessSample?, _ pid: Int?, _ requests: Int, _ decisions: Int)
        -> RunResult.ProcessUse?
    {
        guard let before, let after = pid.flatMap({ ProcessSample(pid: $0) }), requests > 0 else { return nil }
        let cpuUs = Double(after.cpuUs - before.cpuUs)
        return RunResult.ProcessUse(
            cpuUsPerRequest: cpuUs / Double(requests),
            cpuUsPerDecision: decisions > 0 ? cpuUs / Double(decisions) : nil,
            residentKiB: after.residentKiB)
    }
}
