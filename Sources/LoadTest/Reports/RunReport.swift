extension RunResult {
    /// The result for a person, one figure a line.
    var report: String {
        var lines = [
            "\(label): \(Numbers.text(requestsPerSecond)) requests/s"
                + (decisionsPerSecond.map { ", \(Numbers.text($0)) decisions/s" } ?? "")
                + " (\(Numbers.text(Double(requests))) in \(Numbers.text(Double(durationUs) / 1_000_000, decimals: 2)) s, "
                + "\(connections) connections" + (pipeline > 1 ? ", \(pipeline) deep" : "")
                + (rate.map { ", open loop at \($0)/s" } ?? "") + ")"
        ]
        if let latency {
            let figures = [
                ("p50", latency.p50Us), ("p90", latency.p90Us), ("p99", latency.p99Us), ("p99.9", latency.p999Us),
                ("max", latency.maxUs), ("mean", latency.meanUs),
            ]
            lines.append("  latency ms: " + figures.map { "\($0) \(Numbers.ms(us: $1))" }.joined(separator: "  "))
        }
        for (name, use) in [("server", server), ("redis", redis)] {
            guard let use else { continue }
            lines.append(
                "  \(name): \(Numbers.text(use.cpuUsPerRequest, decimals: 2)) µs CPU/request"
                    + (use.cpuUsPerDecision.map { ", \(Numbers.text($0, decimals: 2)) µs/decision" } ?? "")
                    + ", \(Numbers.text(Double(use.residentKiB) / 1024, decimals: 1)) MiB resident")
        }
        let counts = statuses.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        lines.append("  statuses: " + (counts.isEmpty ? "none" : counts.joined(separator: ", ")))
        if let matches { lines.append("  matches: \(matches)") }
        if let attemptsPerRequest {
            lines.append("  attempts: \(Numbers.text(attemptsPerRequest, decimals: 2)) for one success")
        }
        if let sendDelayP99Us { lines.append("  sent within \(sendDelayP99Us) µs of the intended time (p99)") }
        lines.append("  generator: \(Numbers.text(generatorCores, decimals: 2)) cores")
        for (what, count) in [
            ("unexpected statuses", unexpected), ("answers that do not say what they must", unproven),
            ("lost with their connection", lost), ("unanswered", unfinished),
        ] where count > 0 {
            lines.append("  WRONG: \(count) \(what)")
        }
        if let failure { lines.append("  FAILED: \(failure)") }
        return lines.joined(separator: "\n") + "\n"
    }
}
