/**
 * What JSON Schema cannot say about a string by itself. The names are those of `format` in the routes' schemas.
 */
export const formats = {
  text: isText,
  instant: isInstant,
  "task-id": isUuid,
};

/**
 * Text that PostgreSQL can store: no NUL, no half of a surrogate pair.
 *
 * @param {string} value
 */
export function isText(value) {
  return !value.includes("\0") && value.isWellFormed();
}

/**
 * A UUID in its usual notation. PostgreSQL would take other notations too, the contract does not.
 *
 * @param {string} value
 */
export function isUuid(value) {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value);
}

const DATE = /^(\d{4})-(0[1-9]|1[0-2])-(\d\d)$/;
const TIME = /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+|)(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * A date-time of RFC 3339: a real day, an offset, a leap second only where one can be.
 *
 * @param {string} value
 */
export function isInstant(value) {
  const [dateText, timeText, ...rest] = value.split(/t/i);
  const date = DATE.exec(dateText);
  const time = TIME.exec(timeText ?? "");
  return (
    date !== null && time !== null && rest.length === 0 && isRealDay(date) && isRealSecond(time)
  );
}

function isRealDay([, year, month, day]) {
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const leapDay = month === "02" && isLeapYear ? 1 : 0;
  return day >= 1 && day <= DAYS.at(month - 1) + leapDay;
}

/** Second 60 exists only as the last one of a day in UTC. */
function isRealSecond([, hour, minute, second, offset]) {
  if (second !== "60") {
    return true;
  }
  const [offsetHour, offsetMinute] = offset.length === 1 ? [0, 0] : offset.slice(1).split(":");
  const offsetMinutes = (offsetHour * 60 + Number(offsetMinute)) * (offset[0] === "-" ? -1 : 1);
  return (hour * 60 + Number(minute) - offsetMinutes + 1440) % 1440 === 1439;
}
