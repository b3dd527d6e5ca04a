import JSON
import Services

/// One step of `data_processing`: an object with one member, named for what it does.
enum DataStep: Sendable {
    case validate(DataValidation)
    /// The new row: these fields, in this order, and no others.
    case map([(name: String, expression: DataExpression)])
    case filter(DataFilter)
    case aggregate(DataAggregate)

    static let most = 32

    init(_ value: JSONValue, _ name: String) throws(Problem) {
        guard case .object(let members) = value, members.count == 1, let member = members.first else {
            throw .field(name, "must be an object with one of validate, map, filter, aggregate")
        }
        let place = "\(name).\(member.key)"
        switch member.key {
        case "validate": self = .validate(try DataValidation(member.value, place))
        case "filter": self = .filter(try DataFilter(member.value, place))
        case "aggregate": self = .aggregate(try DataAggregate(member.value, place))
        case "map":
            guard case .object(let members) = member.value, (1...128).contains(members.count) else {
                throw .field(place, "must be an object of 1 to 128 fields")
            }
            var fields: [(name: String, expression: DataExpression)] = []
            for member in members {
                let name = try DataNames.check(member.key, "\(place).\(member.key)")
                fields.append((name, try DataExpression(member.value, "\(place).\(member.key)")))
            }
            self = .map(fields)
        default: throw .field(place, "is not a step that is known here: validate, map, filter, aggregate")
        }
    }
}
