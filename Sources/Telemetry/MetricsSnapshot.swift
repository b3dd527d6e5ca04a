import Bytes

/// All metrics of one loop, or of several merged, at one moment.
public struct MetricsSnapshot: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case counter
        case gauge(GaugeMerging)
        case histogram(MetricUnit)
    }

    enum Value: Sendable, Equatable {
        case number(Int)
        case distribution(HistogramSnapshot)
    }

    struct Series: Sendable, Equatable {
        let labels: String
        var value: Value
    }

    struct Family: Sendable, Equatable {
        let name: String
        let help: String
        let kind: Kind
        var series: [Series]
    }

    var families: [Family] = []

    public init() {}

    init(families: [Family]) { self.families = families }

    /// Adds another loop's metrics: counters and histograms are summed, gauges by their own rule.
    public mutating func merge(_ other: MetricsSnapshot) {
        var positions: [String: Int] = [:]
        for (i, family) in families.enumerated() { positions[family.name] = i }
        for family in other.families {
            if let position = positions[family.name] {
                families[position].merge(family)
            } else {
                families.append(family)
            }
        }
    }

    /// The value of a counter or gauge; nil when there is none of this name and these labels.
    /// - Parameter labels: as in the exposition, without the braces: `route="/x",method="GET"`.
    public func number(_ name: String, labels: String = "") -> Int? {
        guard case .number(let number) = value(name, labels) else { return nil }
        return number
    }

    /// The distribution a histogram has seen; nil when there is none of this name and these labels.
    public func distribution(_ name: String, labels: String = "") -> HistogramSnapshot? {
        guard case .distribution(let distribution) = value(name, labels) else { return nil }
        return distribution
    }

    private func value(_ name: String, _ labels: String) -> Value? {
        families.first { $0.name == name }?.series.first { $0.labels == labels }?.value
    }
}

extension MetricsSnapshot.Family {
    fileprivate mutating func merge(_ other: MetricsSnapshot.Family) {
        var positions: [String: Int] = [:]
        for (i, one) in series.enumerated() { positions[one.labels] = i }
        for one in other.series {
            guard let position = positions[one.labels] else {
                series.append(one)
                continue
            }
            switch (series[position].value, one.value) {
            case (.number(let left), .number(let right)):
                series[position].value = .number(kind == .gauge(.max) ? max(left, right) : left &+ right)
            case (.distribution(var left), .distribution(let right)):
                left.merge(right)
                series[position].value = .distribution(left)
            default: preconditionFailure("metric \(name) is of two kinds")
            }
        }
    }
}
