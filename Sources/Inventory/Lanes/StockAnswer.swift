import Redis
import Services

/// What became of a step on a hold.
enum StockAnswer: Sendable {
    /// Made now.
    case held(Hold, productID: String)
    /// Made before, under the same id.
    case existing(Hold, productID: String)
    /// Too little; how much could be had.
    case short(available: Int)
    /// The step was taken now.
    case done(Hold, productID: String)
    /// It had been taken before.
    case same(Hold, productID: String)
    /// It can't be taken in the state that the hold is in.
    case state(Hold, productID: String)
    /// The hold is a line of a reservation over several SKUs.
    case line(of: String)
    /// More than there is; how much there is.
    case more(than: Int)
    /// Less is there than was reserved, since somebody has counted; how much there is.
    case lacking(Int)
    /// There is no such hold.
    case missing
    /// There is no such product.
    case unknown
    /// The hold would have ended already.
    case past
    /// It would end more than 30 days from now.
    case far
    /// Any other answer of a script.
    case other(StockReply)
    case failed(any Error)

    /// Whether there is a hold now that was asked for.
    var isThere: Bool {
        switch self {
        case .held, .existing: true
        default: false
        }
    }

    /// - Parameter suffix: of the hold that the step was about; nil for steps about something else.
    init(_ reply: StockReply, suffix: String?) {
        guard let suffix else {
            self = .other(reply)
            return
        }
        func hold(_ make: (Hold, String) -> StockAnswer) -> StockAnswer {
            guard let hold = Hold(suffix: suffix, reply.fields) else {
                return .failed(RedisError.unexpectedReply("hold \(suffix)"))
            }
            return make(hold, reply.productID)
        }
        switch reply.word {
        case "held": self = hold { .held($0, productID: $1) }
        case "existing": self = hold { .existing($0, productID: $1) }
        case "done": self = hold { .done($0, productID: $1) }
        case "same": self = hold { .same($0, productID: $1) }
        case "state": self = hold { .state($0, productID: $1) }
        case "short": self = .short(available: reply.int(0))
        case "line": self = .line(of: reply.rest.first ?? "")
        case "more": self = .more(than: reply.int(0))
        case "lacking": self = .lacking(reply.int(0))
        case "missing": self = .missing
        case "unknown": self = .unknown
        case "past": self = .past
        case "far": self = .far
        default: self = .other(reply)
        }
    }
}
