/// What befalls a connection when its client says the next word.
public enum ProxyFault: Sendable, Equatable {
    public enum Direction: String, Sendable, CaseIterable { case toRedis, toClient, both }

    case none
    /// The connection is cut before Redis sees the word.
    case cutBefore
    /// Redis gets the word; the connection is cut before anybody hears the answer.
    case cutAfter
    /// The same, and Redis stays away.
    case cutAfterForGood
    /// The client's side is cut at once, and Redis gets the word only when `release` is called.
    case late
    /// The word, and all that follows on the connection, comes so much later.
    case delay(us: Int64)
    /// Of the answer at most so many bytes come through, never all of them; then the connection is cut.
    case truncate(bytes: Int)
    /// Half-open: what goes this way vanishes, and the connection stands; after that time it is cut.
    case swallow(Direction, us: Int64)
    /// The word waits until so many words of other connections have gone by, or a fifth of a second has.
    case overtaken(by: Int)
}

/// Which words of all suffer which fault, by a seed: the n-th word always the same.
public struct FaultSchedule: Sendable, CustomStringConvertible {
    public let seed: UInt64
    private let rarity: Int
    private let longestUs: Int64
    private let kinds: [Kind]
    private var random: SeededRandom

    public enum Kind: Sendable, CaseIterable { case cutBefore, cutAfter, delay, truncate, swallow, overtaken }

    /// - Parameters:
    ///   - seed: none: a fresh one, or that of `QM_SEED`.
    ///   - rarity: one word in so many suffers a fault.
    ///   - longestUs: of a delay, and of the life of a half-open connection.
    public init(
        seed: UInt64? = nil, oneIn rarity: Int = 15, longestUs: Int64 = 100_000, kinds: [Kind] = Kind.allCases
    ) {
        random = seed.map { SeededRandom(seed: $0) } ?? SeededRandom()
        self.seed = random.seed
        self.rarity = rarity
        self.longestUs = longestUs
        self.kinds = kinds
    }

    public var description: String { "faults of seed \(seed), one in \(rarity) (QM_SEED=\(seed) repeats them)" }

    /// The fault of the next word.
    public mutating func next() -> ProxyFault {
        guard random.oneIn(rarity) else { return .none }
        switch random.pick(kinds) {
        case .cutBefore: return .cutBefore
        case .cutAfter: return .cutAfter
        case .delay: return .delay(us: us())
        case .truncate: return .truncate(bytes: random.int(0...12))
        case .swallow: return .swallow(random.pick(ProxyFault.Direction.allCases), us: us())
        case .overtaken: return .overtaken(by: random.int(1...4))
        }
    }

    private mutating func us() -> Int64 { Int64(random.int(1...Int(longestUs))) }
}
