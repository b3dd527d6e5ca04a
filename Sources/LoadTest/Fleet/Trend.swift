import JSON

/// How a figure of a process went over a long run: whether it grows.
struct Trend: Equatable {
    struct Sample: Equatable {
        /// Since the start.
        var seconds: Double
        var value: Double
    }

    enum Unit: String {
        case residentKiB = "resident KiB"
        case descriptors
        case redisBytes = "Redis bytes"
    }

    /// The beginning is left out: buffers, tables and pools fill.
    static let warmUpShare = 0.25

    let name: String
    let unit: Unit
    let samples: [Sample]
    /// Jobs and holds that were accepted meanwhile, in all of the run: Redis keeps them for their time.
    let acceptedWrites: Int

    init(_ name: String, _ unit: Unit, _ samples: [Sample], acceptedWrites: Int = 0) {
        self.name = name
        self.unit = unit
        self.samples = samples
        self.acceptedWrites = acceptedWrites
    }

    private var settled: [Sample] {
        guard let last = samples.last?.seconds else { return [] }
        return samples.filter { $0.seconds >= last * Trend.warmUpShare }
    }

    /// Least squares over what follows the warm-up, per minute; 0 of fewer than three samples.
    var slopePerMinute: Double {
        let samples = settled
        guard samples.count > 2 else { return 0 }
        let n = Double(samples.count)
        let meanX = samples.reduce(0) { $0 + $1.seconds } / n
        let meanY = samples.reduce(0) { $0 + $1.value } / n
        let above = samples.reduce(0) { $0 + ($1.seconds - meanX) * ($1.value - meanY) }
        let below = samples.reduce(0) { $0 + ($1.seconds - meanX) * ($1.seconds - meanX) }
        return below > 0 ? above / below * 60 : 0
    }

    /// What the slope makes over the time it was taken of.
    var growth: Double {
        guard let first = settled.first, let last = settled.last else { return 0 }
        return slopePerMinute * (last.seconds - first.seconds) / 60
    }

    /// How far what follows the warm-up scatters about its line: a slope within that is noise.
    private var noise: Double {
        let samples = settled
        guard samples.count > 2 else { return 0 }
        let n = Double(samples.count)
        let meanX = samples.reduce(0) { $0 + $1.seconds } / n
        let meanY = samples.reduce(0) { $0 + $1.value } / n
        let squares = samples.reduce(0.0) { sum, one in
            let off = one.value - meanY - slopePerMinute / 60 * (one.seconds - meanX)
            return sum + off * off
        }
        return 3 * (squares / n).squareRoot()
    }

    /// What may come on top of noise: an allocator's pages, a connection or two.
    private var allowance: Double {
        switch unit {
        case .residentKiB: 2048
        case .descriptors: 8
        // A job with its idempotency record, a hold with its ledger entries and its end.
        case .redisBytes: 1_048_576 + 2048 * Double(acceptedWrites) * (1 - Trend.warmUpShare)
        }
    }

    var isGood: Bool { growth <= max(noise, allowance) }

    var verdict: String {
        if !isGood { return "GROWS" }
        guard unit == .redisBytes, acceptedWrites > 0, growth > 1_048_576 else { return "flat" }
        let each = growth / (Double(acceptedWrites) * (1 - Trend.warmUpShare))
        return "\(Numbers.text(each)) bytes per accepted job or hold"
    }

    static func rows(_ trends: [Trend]) -> [[String]] {
        [["process", "figure", "first", "last", "slope/min", "verdict"]]
            + trends.map { trend in
                [
                    trend.name, trend.unit.rawValue, Numbers.text(trend.samples.first?.value ?? 0),
                    Numbers.text(trend.samples.last?.value ?? 0), Numbers.text(trend.slopePerMinute, decimals: 1),
                    trend.verdict,
                ]
            }
    }

    func write(to json: inout JSONWriter) {
        json.beginObject()
        json.field("process", name)
        json.field("figure", unit.rawValue)
        json.field("samples", samples.count)
        json.field("first", samples.first?.value ?? 0)
        json.field("last", samples.last?.value ?? 0)
        json.field("slopePerMinute", slopePerMinute)
        json.field("isGood", isGood)
        json.endObject()
    }
}
