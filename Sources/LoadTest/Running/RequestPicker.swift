/// Which request comes next: first each in order, `passes` times, then at random from a seed.
struct RequestPicker {
    private let count: Int
    private var ordered: Int
    private let passed: Int
    private var random: SplitMix64

    /// How many requests were answered or lost before the measurement.
    var answered = 0

    init(count: Int, passes: Int, seed: UInt64) {
        self.count = count
        passed = count * passes
        ordered = 0
        random = SplitMix64(seed: seed)
    }

    /// Whether the ordered passes are sent and answered.
    var passesAreAnswered: Bool { answered >= passed }

    mutating func next() -> Int {
        guard ordered == passed else {
            defer { ordered += 1 }
            return ordered % count
        }
        return count == 1 ? 0 : random.index(below: count)
    }
}
