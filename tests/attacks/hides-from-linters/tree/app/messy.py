# ruff: noqa
import os, sys, json
def f(a,b,c,d,e,f,g,h):
    l=1
    try: return eval("a"+"b")
    except: pass
