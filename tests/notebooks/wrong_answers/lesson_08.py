"""Known wrong answers of lesson 08: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)


# %% 8.1 | That is what the part gains
def gain(costs, part, factor):
    return factor


# %% 8.1 | Which way round is a gain
def gain(costs, part, factor):
    before = sum(costs.values())
    return (before - costs[part] + costs[part] / factor) / before


# %% 8.1 | You took the part away entirely
def gain(costs, part, factor):
    before = sum(costs.values())
    return before / (before - costs[part])


# %% 8.1 | Those are microseconds after the change
def gain(costs, part, factor):
    return sum(cost / factor if name == part else cost for name, cost in costs.items())


# %% 8.1 | changed the dictionary it was given
def gain(costs, part, factor):
    before = sum(costs.values())
    costs[part] /= factor
    return before / sum(costs.values())


# %% 8.1 | expected a number, got None
def gain(costs, part, factor):
    print(sum(costs.values()))


# %% 8.1 | That is what `//` gives
def gain(costs, part, factor):
    before = sum(costs.values())
    return before / (before - costs[part] + costs[part] // factor)


# %% 8.1 | What does `/` give?
def gain(costs, part, factor):
    before = sum(costs.values())
    return before // (before - costs[part] + costs[part] / factor)


# %% 8.1 | What is the whole before, and after?
def gain(costs, part, factor):
    share = costs[part] / sum(costs.values())
    return 1 + share * (factor - 1)


# %% 8.2 | Meanwhile, who was answered?
async def answer(predict, row):
    labels = predict([row])
    await asyncio.sleep(0)
    return labels[0]


# %% 8.2 | How many threads does the pool that you use have
from concurrent.futures import ThreadPoolExecutor


async def answer(predict, row):
    pool = ThreadPoolExecutor(2)
    labels = await asyncio.get_running_loop().run_in_executor(pool, predict, [row])
    return labels[0]


# %% 8.2 | What makes the second wait?
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)


async def answer(predict, row):
    labels = await asyncio.get_running_loop().run_in_executor(pool, predict, [row])
    return labels[0]


# %% 8.2 | still has to be awaited
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)


async def answer(predict, row):
    return asyncio.get_running_loop().run_in_executor(pool, predict, [row])


# %% 8.2 | `predict` gives a list
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)


async def answer(predict, row):
    return await asyncio.get_running_loop().run_in_executor(pool, predict, [row])


# %% 8.2 | expected an `async def`
def answer(predict, row):
    return predict([row])[0] + 0


# %% 8.2 | raised TypeError
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)


async def answer(predict, row):
    return await asyncio.get_running_loop().run_in_executor(pool, predict([row])[0])


# %% 8.2 | predictions ran at the same time, expected 2
async def answer(predict, row):
    labels = await asyncio.to_thread(predict, [row])
    return labels[0]


# %% 8.2 | ran one at a time, expected 2 at once
lock = asyncio.Lock()


async def answer(predict, row):
    async with lock:
        labels = await asyncio.to_thread(predict, [row])
    return labels[0]


# %% 8.2 | ran in the event loop's own thread
limit = asyncio.Semaphore(2)


async def answer(predict, row):
    async with limit:
        return predict([row])[0]


# %% 8.3 | What was the batch for
def answer_each(rows, predict):
    answers = []
    for row in rows:
        try:
            answers.append(predict([row])[0])
        except Exception as error:
            answers.append(error)
    return answers


# %% 8.3 | Whose error is that
def answer_each(rows, predict):
    try:
        return predict(rows) if rows else []
    except Exception as error:
        return [error] * len(rows)


# %% 8.3 | Who gets none
def answer_each(rows, predict):
    try:
        return predict(rows) if rows else []
    except Exception:
        answers = []
        for row in rows:
            try:
                answers.append(predict([row])[0])
            except Exception:
                pass
        return answers


# %% 8.3 | expected an exception. Where did it go
def answer_each(rows, predict):
    def alone(row):
        try:
            return predict([row])[0]
        except Exception:
            return None

    try:
        return predict(rows) if rows else []
    except Exception:
        return [alone(row) for row in rows]


# %% 8.3 | got another row's error
def answer_each(rows, predict):
    def alone(row, error):
        try:
            return predict([row])[0]
        except Exception:
            return error

    try:
        return predict(rows) if rows else []
    except Exception as error:
        return [alone(row, error) for row in rows]


# %% 8.3 | raised Bad
def answer_each(rows, predict):
    return predict(rows) if rows else []


# %% 8.3 | for 0 good rows `predict` was called 1 times
def answer_each(rows, predict):
    def alone(row):
        try:
            return predict([row])[0]
        except Exception as error:
            return error

    try:
        return predict(rows)
    except Exception:
        return [alone(row) for row in rows]


# %% 8.3 | [-2] got 6, expected an exception
def answer_each(rows, predict):
    def alone(row):
        try:
            return predict([row])[0]
        except Exception as error:
            return error

    try:
        return list(predict(rows)) if rows else []
    except Exception:
        return sorted((alone(row) for row in rows), key=lambda found: isinstance(found, Exception))


# %% 8.3 | the good row [1] got Bad
def answer_each(rows, predict):
    if not rows:
        return []
    try:
        return list(predict(rows))
    except Exception as error:
        half = len(rows) // 2
        if half == 0 or len(rows) == 3:
            return [error] * len(rows)
        return answer_each(rows[:half], predict) + answer_each(rows[half:], predict)


# %% 8.3 | expected a list, got
def answer_each(rows, predict):
    def each():
        for row in rows:
            try:
                yield predict([row])[0]
            except Exception as error:
                yield error

    return each()


# %% 8.4 | expected 422 as from FastAPI, got 500. Who would have known
class CarefulRoute(APIRoute):
    def get_route_handler(self):
        types, view = get_type_hints(self.endpoint), self.endpoint
        gives = types.pop("return")
        if len(types) != 1:
            return super().get_route_handler()
        write = TypeAdapter(gives).dump_json
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json

        async def handle(request):
            answer = await view(**{name: read(await request.body())})
            return Response(write(answer), media_type="application/json")

        return handle


# %% 8.4 | the status is right (422), and not the answer
from pydantic import ValidationError


class CarefulRoute(APIRoute):
    def get_route_handler(self):
        types, view = get_type_hints(self.endpoint), self.endpoint
        write = TypeAdapter(types.pop("return")).dump_json
        if len(types) != 1:
            return super().get_route_handler()
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json

        async def handle(request):
            try:
                body = read(await request.body())
            except ValidationError as error:
                return Response(json.dumps({"detail": str(error)}), 422, media_type="application/json")
            return Response(write(await view(**{name: body})), media_type="application/json")

        return handle


# %% 8.4 | a view that is a plain `def` and a good body: expected 200 as from FastAPI, got 500
class CarefulRoute(APIRoute):
    def get_route_handler(self):
        own = super().get_route_handler()
        types, view = get_type_hints(self.endpoint), self.endpoint
        write = TypeAdapter(types.pop("return")).dump_json
        if len(types) != 1 or not issubclass(list(types.values())[0], BaseModel):
            return own
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json

        async def handle(request):
            try:
                body = read(await request.body())
            except ValueError:
                return await own(request)
            return Response(write(await view(**{name: body})), media_type="application/json")

        return handle


# %% 8.4 | Of what type is it
class CarefulRoute(APIRoute):
    def get_route_handler(self):
        own = super().get_route_handler()
        types, view = get_type_hints(self.endpoint), self.endpoint
        write = TypeAdapter(types.pop("return")).dump_json
        if len(types) != 1:
            return own
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json

        async def handle(request):
            try:
                body = read(await request.body())
            except ValueError:
                return await own(request)
            return Response(write(await view(**{name: body})), media_type="application/json")

        return handle


# %% 8.4 | making its route raised ValueError
class CarefulRoute(APIRoute):
    def get_route_handler(self):
        own = super().get_route_handler()
        types, view = get_type_hints(self.endpoint), self.endpoint
        write = TypeAdapter(types.pop("return")).dump_json
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json

        async def handle(request):
            try:
                body = read(await request.body())
            except ValueError:
                return await own(request)
            return Response(write(await view(**{name: body})), media_type="application/json")

        return handle


# %% 8.4 | and FastAPI gives them all
class CarefulRoute(APIRoute):
    def get_route_handler(self):
        own = super().get_route_handler()

        async def handle(request):
            return await own(request)

        return handle


# %% 8.4 | was called 2 times and gave 500, expected once
import inspect


class CarefulRoute(APIRoute):
    def get_route_handler(self):
        own, view = super().get_route_handler(), self.endpoint
        types = get_type_hints(view)
        write = TypeAdapter(types.pop("return")).dump_json
        models = [each for each in types.values() if issubclass(each, BaseModel)]
        if len(types) != 1 or len(models) != 1 or not inspect.iscoroutinefunction(view):
            return own
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json

        async def handle(request):
            try:
                answer = await view(**{name: read(await request.body())})
                return Response(write(answer), media_type="application/json")
            except ValueError:
                return await own(request)

        return handle
